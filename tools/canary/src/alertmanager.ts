import { duration, type Cadence } from "./cadence.js";

/** When Alertmanager speaks, in seconds, of what goes to the runner of releases. */
export interface Routing {
  readonly groupWaitS: number;
  readonly groupIntervalS: number;
  readonly repeatS: number;
}

export function routing({ evaluationS }: Cadence): Routing {
  return { groupWaitS: 0, groupIntervalS: Math.min(evaluationS, 10), repeatS: 60 };
}

/**
 * What acts on a release goes to its runner, a second trigger beside the runner's own looks, and to people. Each alert is a group
 * of its own there ("..."): in a group that has spoken, a new alert waits for the next interval.
 */
export function alertmanagerConfig(cadence: Cadence): object {
  const { groupWaitS, groupIntervalS, repeatS } = routing(cadence);
  return {
    route: {
      receiver: "operators",
      group_by: ["alertname"],
      routes: [
        {
          receiver: "release-runner",
          matchers: ['memseal_action=~"rollback|hold|heartbeat"'],
          group_by: ["..."],
          group_wait: duration(groupWaitS),
          group_interval: duration(groupIntervalS),
          repeat_interval: duration(repeatS),
          continue: true,
        },
        { receiver: "operators", matchers: ['memseal_action=~"rollback|hold"'] },
      ],
    },
    receivers: [
      { name: "operators" },
      {
        name: "release-runner",
        webhook_configs: [{
          url: "http://127.0.0.1:9095/alerts",
          send_resolved: false,
          // Who can speak to the runner can end a release.
          http_config: { authorization: { type: "Bearer", credentials_file: "webhook.token" } },
        }],
      },
    ],
  };
}
