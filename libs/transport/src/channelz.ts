/** grpc-js's own counters of each call and connection, which nothing here reads: ours are metrics. */
export const CHANNELZ_OFF = { "grpc.enable_channelz": 0 };
