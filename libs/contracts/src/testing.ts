import { InvalidArgumentError } from "@memseal/errors";

/** The field that a parser finds fault with; undefined where it finds none. Any other error is thrown on. */
export function faultOf(parse: () => unknown): string | undefined {
  try {
    parse();
    return undefined;
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    return error.field;
  }
}
