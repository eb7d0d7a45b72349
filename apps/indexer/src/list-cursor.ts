import { FIELD, open, OpenError, seal, uuidBytes, type Place, type UserHash } from "@memseal/crypto";
import { InvalidArgumentError } from "@memseal/errors";
import type { TenantKeys } from "@memseal/keys";
import type { CallEnd, TenantDatabase, TenantStore } from "@memseal/storage";

const NOT_OURS = "must be the next_cursor of an earlier page";
/** No row: a cursor is of the tenant alone. */
const NO_ROW = Buffer.alloc(16);

/** Where a listing goes on, sealed for its tenant: it says nothing and can be made by nobody else. */
export class ListCursors {
  constructor(
    private readonly database: TenantDatabase,
    private readonly tenants: TenantStore,
    private readonly keys: TenantKeys,
  ) {}

  /** id: of the last memory of a page. */
  async encode(tenant: UserHash, id: string, end?: CallEnd): Promise<string> {
    const { keyring } = await this.keys.forSealing(tenant, await this.#epoch(tenant, end), 1);
    return seal(uuidBytes(id), keyring, place(tenant)).toString("base64url");
  }

  /** @throws InvalidArgumentError unless encode() made it for this tenant */
  async decode(tenant: UserHash, cursor: string, end?: CallEnd): Promise<string> {
    const blob = Buffer.from(cursor, "base64url");
    if (blob.toString("base64url") !== cursor) throw new InvalidArgumentError("cursor", NOT_OURS);
    const epoch = await this.#epoch(tenant, end);
    const { keyring } = await this.keys.get(tenant, epoch);
    try {
      const hex = open(blob, keyring, place(tenant)).toString("hex");
      return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
    } catch (error) {
      if (error instanceof OpenError) throw new InvalidArgumentError("cursor", NOT_OURS);
      throw error;
    }
  }

  /** @throws InvalidArgumentError where the tenant has nothing to list: no cursor is its own */
  async #epoch(tenant: UserHash, end: CallEnd | undefined): Promise<number> {
    const state = await this.tenants.readState(this.database.until(end), tenant);
    if (state?.status !== "active") throw new InvalidArgumentError("cursor", NOT_OURS);
    return state.epoch;
  }
}

function place(tenant: UserHash): Place {
  return { tenant, rowId: NO_ROW, field: FIELD.cursor, rowVersion: 1 };
}
