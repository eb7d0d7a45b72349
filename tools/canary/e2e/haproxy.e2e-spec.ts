import { spawnSync } from "node:child_process";
import { createServer, type Server } from "node:http";
import { connect as connectHttp2, createServer as createHttp2Server, type Http2Server } from "node:http2";
import { setTimeout as delay } from "node:timers/promises";
import { freePort } from "@memseal/transport/testing";
import { HaproxyLoadBalancer } from "../src/adapters/haproxy.js";
import { LoadBalancerError } from "../src/adapters/load-balancer.js";
import { Haproxy, type TrackAddresses } from "../src/demo/haproxy.js";

/** They run where it is there, and where it is required, as in CI. */
const canRun = process.env["MEMSEAL_REQUIRE_HAPROXY"] === "1" || spawnSync("haproxy", ["-v"]).status === 0;
const TRACK_SECRET = "the load's own";
const TRACKS = ["stable", "canary"] as const;
type Track = (typeof TRACKS)[number];

/** Answers every request with the name of its track, over HTTP and HTTP/2. */
class TrackServer {
  private constructor(readonly addresses: TrackAddresses, private readonly servers: readonly (Server | Http2Server)[]) {}

  static async start(track: Track): Promise<TrackServer> {
    const http = createServer((request, response) => {
      // A slow answer, for what happens to calls under way.
      setTimeout(() => response.end(`${track} ${String(request.headers["x-memseal-track-secret"] ?? "no secret")}`), request.url === "/slow" ? 500 : 0);
    });
    const grpc = createHttp2Server((_request, response) => { response.end(track); });
    const ports = [await freePort(), await freePort()];
    await Promise.all([http, grpc].map((server, i) => new Promise<void>((resolve) => { server.listen(ports[i], "127.0.0.1", resolve); })));
    return new TrackServer({ http: `127.0.0.1:${ports[0]}`, grpc: `127.0.0.1:${ports[1]}` }, [http, grpc]);
  }

  stop(): void {
    for (const server of this.servers) server.close();
  }
}

let servers: Record<Track, TrackServer>;
let haproxy: Haproxy;
let balancer: HaproxyLoadBalancer;

const ask = async (credential: string, headers: Record<string, string> = {}, path = "/"): Promise<string> => {
  const response = await fetch(`http://${haproxy.http}${path}`, { headers: { authorization: `Bearer ${credential}`, ...headers } });
  if (!response.ok) throw new Error(`status ${response.status}`);
  return (await response.text()).split(" ")[0];
};
const named = (track: Track) => ({ "x-memseal-track": track, "x-memseal-track-secret": TRACK_SECRET });
const credentials = Array.from({ length: 400 }, (_, i) => `key-${i}`);
/** What is asked for each, some at a time: servers and health checks share this process. */
async function eachOf(of: readonly string[], one: (credential: string) => Promise<string>): Promise<string[]> {
  const tracks: string[] = [];
  for (let i = 0; i < of.length; i += 16) tracks.push(...(await Promise.all(of.slice(i, i + 16).map(one))));
  return tracks;
}
const tracksOf = () => eachOf(credentials, (credential) => ask(credential));
const share = (tracks: readonly string[]) => tracks.filter((track) => track === "canary").length / tracks.length;

(canRun ? describe : describe.skip)(`HAProxy as it is shipped${canRun ? "" : " (skipped: apt-get install haproxy)"}`, () => {
  beforeEach(async () => {
    servers = { stable: await TrackServer.start("stable"), canary: await TrackServer.start("canary") };
    haproxy = await Haproxy.start({ stable: servers.stable.addresses, canary: servers.canary.addresses }, TRACK_SECRET);
    balancer = haproxy.loadBalancer();
  });

  afterEach(async () => {
    await haproxy.stop();
    for (const server of Object.values(servers)) server.stop();
  });

  it("gives a candidate nothing before it is told to, not even the load that names it", async () => {
    expect(share(await tracksOf())).toBe(0);
    expect(await ask("key", named("canary"))).toBe("stable");
    expect((await balancer.read()).candidatePercent).toBe(0);
  });

  it("shares credentials out, keeps each where it is, and moves few when the share grows", async () => {
    await balancer.setCandidateShare(25);
    const first = await tracksOf();
    expect(share(first)).toBeGreaterThan(0.15);
    expect(share(first)).toBeLessThan(0.35);
    expect(await tracksOf()).toEqual(first);
    await balancer.setCandidateShare(50);
    const grown = await tracksOf();
    const left = first.filter((track, i) => track === "canary" && grown[i] !== "canary").length;
    expect(left / first.length).toBeLessThan(0.05);
    await balancer.setCandidateShare(100);
    expect(share(await tracksOf())).toBe(1);
    expect((await balancer.read()).candidatePercent).toBe(100);
  });

  it("sends load that names its track there, with the secret alone, which no gateway sees", async () => {
    await balancer.setCandidateShare(5);
    for (const track of TRACKS) expect(await Promise.all(credentials.slice(0, 20).map((credential) => ask(credential, named(track))))).toEqual(Array(20).fill(track));
    const tracks = await Promise.all(credentials.slice(0, 50).map((credential) => ask(credential, { "x-memseal-track": "canary", "x-memseal-track-secret": "a guess" })));
    expect(share(tracks)).toBeLessThan(0.5);
    const response = await fetch(`http://${haproxy.http}/`, { headers: named("canary") });
    expect(await response.text()).toBe("canary no secret");
  });

  it("tells that load alone, request by request, who answered it", async () => {
    await balancer.setCandidateShare(50);
    const told = async (headers: Record<string, string>) => {
      const response = await fetch(`http://${haproxy.http}/`, { headers: { authorization: "Bearer key", ...headers } });
      return [response.headers.get("x-memseal-track"), (await response.text()).split(" ")[0]];
    };
    const secret = { "x-memseal-track-secret": TRACK_SECRET };
    for (const track of TRACKS) expect(await told(named(track))).toEqual([track, track]);
    const [track, answered] = await told(secret);
    expect(track).toBe(answered);
    // On the connections that were told before.
    for (const headers of [{}, { "x-memseal-track": "canary" }, { "x-memseal-track": "canary", "x-memseal-track-secret": "a guess" }] as Record<string, string>[]) expect((await told(headers))[0]).toBeNull();
  });

  it("shares out the calls of one HTTP/2 connection", async () => {
    await balancer.setCandidateShare(50);
    const session = connectHttp2(`http://${haproxy.grpc}`);
    const call = (credential: string) => new Promise<string>((resolve, reject) => {
      let text = "";
      session.request({ ":path": "/", authorization: credential }).setEncoding("utf8").on("data", (part: string) => { text += part; }).on("error", reject).on("end", () => { resolve(text); });
    });
    const first = await eachOf(credentials, call);
    expect(share(first)).toBeGreaterThan(0.35);
    expect(share(first)).toBeLessThan(0.65);
    expect(await eachOf(credentials, call)).toEqual(first);
    await balancer.setCandidateShare(0);
    expect(share(await eachOf(credentials, call))).toBe(0);
    session.close();
  });

  it("loses no request while the share changes, and lets those under way end", async () => {
    await balancer.setCandidateShare(50);
    const slow = Promise.all(credentials.slice(0, 20).map((credential) => ask(credential, {}, "/slow")));
    await delay(100);
    const stop = new AbortController();
    const load = Promise.all(Array.from({ length: 4 }, async (_, caller) => {
      let answered = 0;
      for (; !stop.signal.aborted; answered++) await ask(`caller-${caller}-${answered}`);
      return answered;
    }));
    for (const percent of [0, 5, 25, 50, 100, 0]) {
      await balancer.setCandidateShare(percent);
      await delay(50);
    }
    stop.abort();
    expect(Math.min(...(await load))).toBeGreaterThan(0);
    expect(share(await slow)).toBeGreaterThan(0.1);
    expect(share(await tracksOf())).toBe(0);
  });

  it("gives everything to the release that is there when the other is gone", async () => {
    await balancer.setCandidateShare(50);
    servers.canary.stop();
    await delay(1_500);
    expect(share(await tracksOf())).toBe(0);
  });

  it("counts what each track answered", async () => {
    await balancer.setCandidateShare(50);
    const before = await balancer.read();
    const tracks = [...(await tracksOf()), ...(await Promise.all(credentials.slice(0, 30).map((credential) => ask(credential, named("canary")))))];
    const after = await balancer.read();
    const canary = tracks.filter((track) => track === "canary").length;
    expect({ canary: after.answers.canary - before.answers.canary, stable: after.answers.stable - before.answers.stable }).toEqual({ canary, stable: tracks.length - canary });
    expect(after.failures).toEqual({ canary: 0, stable: 0 });
    expect(after.raw).toContain("http_split,canary,");
  });

  it.each([-1, 101, 2.5, NaN])("refuses a share of %p", async (percent) => {
    await expect(balancer.setCandidateShare(percent)).rejects.toThrow("no whole number of percent");
  });

  it("says that HAProxy cannot be reached", async () => {
    await expect(new HaproxyLoadBalancer("/nowhere/socket").read()).rejects.toThrow(LoadBalancerError);
    await expect(new HaproxyLoadBalancer("/nowhere/socket").setCandidateShare(5)).rejects.toThrow("cannot be reached at /nowhere/socket");
  });
});
