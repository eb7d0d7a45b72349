import { z } from "zod";

/** Variables of every process that takes or makes calls over the network. */
export const transportVariables = {
  /** How long a service that is asked to stop says that it is not ready, and answers all the same: longer than it takes until nobody sends it calls. */
  MEMSEAL_DRAIN_MS: z.coerce.number().int().min(0).max(300_000).default(0),
  /** PEM files of this process on private hops: its certificate (with what is between it and the CA), its key, and the CA of its peers. All three, or none. */
  MEMSEAL_TLS_CERT_FILE: z.string().optional(),
  MEMSEAL_TLS_KEY_FILE: z.string().optional(),
  MEMSEAL_TLS_CA_FILE: z.string().optional(),
  /** `true`: plaintext also where other machines can listen. */
  MEMSEAL_ALLOW_PLAINTEXT: z.enum(["true", "false"]).default("false").transform((word) => word === "true"),
};

/** Variables of a private service beside these. */
export const privateServiceVariables = {
  ...transportVariables,
  /** Names that a caller's certificate must have one of, comma-separated; any certificate of the CA, unless set. */
  MEMSEAL_TLS_PEER_NAMES: z.string().transform((list) => list.split(",")).pipe(z.array(z.string().min(1)).min(1)).optional(),
};
