/** The largest request the gateway accepts from a caller, in bytes. */
export const MAX_MESSAGE_BYTES = 8 * 1024 * 1024;

/**
 * The largest message between our own services, in bytes: more than any call within the public limits makes. A request
 * of 8 MiB grows on its way in, since protobuf takes 11 bytes for a number that JSON writes in 2; an answer may hold 100
 * memories of 50,000 four-byte code points, each with its passage and metadata.
 */
export const MAX_INNER_MESSAGE_BYTES = 64 * 1024 * 1024;
