import { isLoopback, parseHostAndPort } from "./address.js";

describe("an address", () => {
  it.each(["127.0.0.1:80", "127.255.0.9:80", "[::1]:80", "[::ffff:127.0.0.1]:80", "localhost:80", "LocalHost:80", "unix:/run/memseal/indexer.sock"])("%s is loopback", (address) => {
    expect(isLoopback(address)).toBe(true);
  });

  // Names that resolvers and old C libraries take for loopback are no exception: what they mean elsewhere is not known here.
  it.each(["0.0.0.0:80", "[::]:80", "10.0.0.1:80", "128.0.0.1:80", "[::2]:80", "[::ffff:10.0.0.1]:80", "indexer:80", "localhost.example.com:80", "127.0.0.1.example.com:80", "127.1:80", "2130706433:80", "0x7f000001:80", "", "unix"])(
    "%s is not",
    (address) => {
      expect(isLoopback(address)).toBe(false);
    },
  );

  it("has a host without brackets, and a port", () => {
    expect(parseHostAndPort("[::1]:7482")).toEqual({ host: "::1", port: 7482 });
    expect(parseHostAndPort("indexer:0")).toEqual({ host: "indexer", port: 0 });
    expect(parseHostAndPort("unix:/a")).toBeUndefined();
  });
});
