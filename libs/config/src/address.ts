import { BlockList, isIP } from "node:net";

const HOST_AND_PORT = /^(?<host>[^:\s]+|\[[0-9a-f:.]+\]):(?<port>\d{1,5})$/i;

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

export interface HostAndPort {
  /** A name or an IP address, IPv6 without its brackets. */
  host: string;
  port: number;
}

/** The parts of `host:port`; undefined for a Unix socket, and for what is no address. */
export function parseHostAndPort(address: string): HostAndPort | undefined {
  const { host, port } = HOST_AND_PORT.exec(address)?.groups ?? {};
  return host === undefined ? undefined : { host: host.replace(/^\[|\]$/g, ""), port: Number(port) };
}

/** Whether only this machine can be at the other end: a Unix socket, 127.0.0.0/8, ::1 or `localhost`. Any other name may lead anywhere. */
export function isLoopback(address: string): boolean {
  if (address.startsWith("unix:")) return true;
  const host = parseHostAndPort(address)?.host ?? "";
  const family = isIP(host);
  return family === 0 ? host.toLowerCase() === "localhost" : LOOPBACK.check(host, family === 4 ? "ipv4" : "ipv6");
}
