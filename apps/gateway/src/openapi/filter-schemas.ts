import { LIMITS } from "@memseal/contracts";
import { closed, list, ref, type Properties, type Schema } from "./schema.js";

const STRING: Schema = { type: "string", maxLength: LIMITS.filterValueCharacters };
const PART: Schema = { ...STRING, minLength: 1 };
const TIME: Schema = { type: "string", format: "date-time" };
const SCALAR: Schema = { type: ["string", "number", "boolean", "null"], maxLength: LIMITS.filterValueCharacters };
const ORDERED: Schema = { type: ["string", "number"], maxLength: LIMITS.filterValueCharacters };
const EXISTS: Properties = { exists: { type: "boolean" } };

const equality = (value: Schema): Properties => ({
  eq: value,
  ne: value,
  in: list(value, { max: LIMITS.filterValues }),
  nin: list(value, { max: LIMITS.filterValues }),
});
const order = (value: Schema): Properties => ({ gt: value, gte: value, lt: value, lte: value });
const operators = (...parts: Properties[]): Schema => closed(Object.assign({}, ...parts, EXISTS) as Properties, { minProperties: 1 });

const condition = (bare: Schema, ops: Schema): Schema => ({ anyOf: [bare, ops] });

const fields = (names: readonly string[], schema: Schema): Properties => Object.fromEntries(names.map((name) => [name, schema]));

/** What `filters` may be; `libs/contracts/src/filter-to-domain.ts` parses it. */
export const FILTER_SCHEMAS: Properties = {
  Filter: {
    ...closed({
      AND: list(ref("Filter")),
      OR: list(ref("Filter")),
      NOT: ref("Filter"),
      ...fields(["id", "key", "agent_id", "run_id", "role", "source"], ref("StringCondition")),
      tags: ref("TagsCondition"),
      ...fields(["occurred_at", "created_at", "updated_at", "expires_at"], ref("TimeCondition")),
    }),
    patternProperties: { [`^metadata(\\.[^.]+){1,${LIMITS.metadataPath}}$`]: ref("MetadataCondition") },
    description:
      "Conditions by field; sibling members must all hold. Beside the fields named here, `metadata.<path>` names a member of the metadata. "
      + `At most ${LIMITS.filterLeaves} conditions, nested at most ${LIMITS.filterDepth} deep. Nothing is coerced: a number is never equal to a text. `
      + "An absent field matches only `exists: false`; `ne` and `nin` match only where it exists. At the top, an empty object is no filter.",
  },
  StringCondition: condition(STRING, operators(equality(STRING), order(STRING), { contains: PART, icontains: PART })),
  TagsCondition: operators({ contains: PART, icontains: PART }),
  TimeCondition: condition(TIME, operators(equality(TIME), order(TIME))),
  MetadataCondition: condition(SCALAR, operators(equality(SCALAR), order(ORDERED), { contains: { ...SCALAR, minLength: 1 }, icontains: PART })),
};
