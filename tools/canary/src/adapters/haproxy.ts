import { connect } from "node:net";
import { LoadBalancerError, type LoadBalancer, type Split } from "./load-balancer.js";

/** Of deploy/haproxy/haproxy.cfg: those that share traffic out, and those of the load that names the candidate. */
const SPLIT = ["http_split", "grpc_split"];
const CANDIDATE = ["http_candidate", "grpc_candidate"];
const TRACKS = ["canary", "stable"] as const;
const ANSWER_WITHIN_MS = 2_000;

/**
 * HAProxy through its runtime socket. A weight is in force with the answer to its command, and lasts until HAProxy starts again, which
 * gives the candidate nothing.
 * Source: HAProxy 2.6 Management Guide, 9.1 (columns of `show stat`) and 9.3 (`set server`).
 */
export class HaproxyLoadBalancer implements LoadBalancer {
  /** socketPath: of HAProxy's `stats socket`, level admin. */
  constructor(private readonly socketPath: string) {}

  async setCandidateShare(percent: number): Promise<void> {
    if (!Number.isInteger(percent) || percent < 0 || percent > 100) throw new LoadBalancerError(`${percent} is no whole number of percent`);
    const shares = { canary: percent, stable: 100 - percent };
    // In this order one of the two always has a weight.
    const tracks = percent === 0 ? (["stable", "canary"] as const) : (["canary", "stable"] as const);
    await this.#tell(tracks.flatMap((track) => [
      ...SPLIT.map((backend) => `set server ${backend}/${track} weight ${shares[track]}`),
      ...CANDIDATE.map((backend) => `set server ${backend}/${track} weight ${(track === "canary") === percent > 0 ? 100 : 0}`),
    ]));
    const now = await this.read();
    if (now.candidatePercent !== percent) throw new LoadBalancerError(`HAProxy gives the candidate ${now.candidatePercent}%, not ${percent}%`);
  }

  async read(): Promise<Split> {
    return splitIn(await this.#ask("show stat"));
  }

  /** Commands of which HAProxy has nothing to say when they are done. */
  async #tell(commands: readonly string[]): Promise<void> {
    const answer = (await this.#ask(commands.join(";"))).trim();
    if (answer !== "") throw new LoadBalancerError(`HAProxy answered: ${answer}`);
  }

  #ask(command: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.socketPath);
      let answer = "";
      const fail = (cause: Error) => { reject(new LoadBalancerError(`HAProxy cannot be reached at ${this.socketPath}`, { cause })); };
      socket.setTimeout(ANSWER_WITHIN_MS, () => socket.destroy(new Error("no answer in time")));
      socket.setEncoding("utf8").on("data", (text: string) => { answer += text; }).on("error", fail).on("end", () => { resolve(answer); });
      socket.write(`${command}\n`);
    });
  }
}

/** What HAProxy's `show stat` says of both tracks. @throws LoadBalancerError where it is none, or backends disagree */
export function splitIn(raw: string): Split {
  const servers = parseStat(raw).filter(({ track }) => track !== undefined);
  const sum = (track: (typeof TRACKS)[number], of: (server: Server) => number) =>
    servers.filter((server) => server.track === track).reduce((total, server) => total + of(server), 0);
  const of = (measure: (server: Server) => number) => ({ canary: sum("canary", measure), stable: sum("stable", measure) });
  return { candidatePercent: candidatePercent(servers), answers: of(({ answers }) => answers), failures: of(({ failures }) => failures), raw };
}

interface Server {
  readonly backend: string;
  readonly track: (typeof TRACKS)[number] | undefined;
  readonly weight: number;
  readonly answers: number;
  readonly failures: number;
}

/** The servers of `show stat`, which is CSV under a line of names. @throws LoadBalancerError for anything else */
function parseStat(raw: string): Server[] {
  const [head = "", ...lines] = raw.trimEnd().split("\n");
  const names = head.replace(/^# /, "").split(",");
  if (!names.includes("svname")) throw new LoadBalancerError("HAProxy shows no statistics");
  return lines.map((line) => {
    const cells = line.split(",");
    const cell = (name: string) => cells[names.indexOf(name)] ?? "";
    const count = (name: string) => Number(cell(name));
    return {
      backend: cell("pxname"),
      track: TRACKS.find((track) => track === cell("svname")),
      weight: count("weight"),
      answers: ["hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other"].reduce((sum, name) => sum + count(name), 0),
      failures: count("hrsp_5xx") + count("econ"),
    };
  });
}

/** What every backend agrees on. @throws LoadBalancerError where they do not */
function candidatePercent(servers: readonly Server[]): number {
  const weight = (backend: string, track: string) => servers.find((server) => server.backend === backend && server.track === track)?.weight ?? NaN;
  const percents = SPLIT.map((backend) => (100 * weight(backend, "canary")) / (weight(backend, "canary") + weight(backend, "stable")));
  const [percent = NaN] = percents;
  const named = CANDIDATE.map((backend) => weight(backend, "canary"));
  if (!percents.every((one) => one === percent) || !named.every((one) => one === (percent > 0 ? 100 : 0))) {
    throw new LoadBalancerError(`HAProxy's backends do not agree on the candidate: ${SPLIT.join(", ")} give it ${percents.join("%, ")}%; ${CANDIDATE.join(", ")} weight ${named.join(", ")}`);
  }
  return percent;
}
