export interface BannerFacts {
  httpUrl: string;
  grpcAddress: string;
  home: string;
  apiKey: string;
  /** Where the secrets are, when this start made them. */
  newSecretsDir: string | undefined;
}

/** What `npm start` ends with: where it is, a key, and two lines to copy. */
export function banner({ httpUrl: url, grpcAddress, home, apiKey, newSecretsDir }: BannerFacts): string {
  return [
    "",
    `  Memseal is ready.   HTTP ${url}   gRPC ${grpcAddress}   state ${home}`,
    "",
    ...(newSecretsDir === undefined ? [] : [
      `  BACK THIS UP, apart from the database:  ${newSecretsDir}`,
      "  Three secrets were just made there. Without them nothing in the database can ever be read again.",
      "",
    ]),
    `  API key of the user "local":  ${apiKey}`,
    "  More users:  npm run -s keys -- create --user alice",
    "",
    `  curl -s ${url}/v1/memories -H 'Authorization: Bearer ${apiKey}' \\`,
    "    -H 'Content-Type: application/json' -d '{\"memories\":[{\"text\":\"She is allergic to walnuts.\"}]}'",
    "",
    `  curl -s ${url}/v1/memories/search -H 'Authorization: Bearer ${apiKey}' \\`,
    "    -H 'Content-Type: application/json' -d '{\"query\":\"Which food must she avoid?\"}'",
    "",
    "  Ctrl-C stops everything; the next start finds its data.",
    "",
  ].join("\n");
}
