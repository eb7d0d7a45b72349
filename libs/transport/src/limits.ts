/** The largest request any hop accepts, in bytes. */
export const MAX_MESSAGE_BYTES = 8 * 1024 * 1024;

/** The largest answer the gateway accepts from a service: 100 memories of 50,000 four-byte code points and their metadata. */
export const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
