/** Markup that is whole: what was put into it is escaped. */
class Html {
  constructor(readonly text: string) {}
}
export type { Html };

type Value = Html | readonly Html[] | string | number;

/** A piece of a document. Everything that is put in and is no markup is text, whatever it says. */
export function html(strings: TemplateStringsArray, ...values: readonly Value[]): Html {
  return new Html(String.raw({ raw: strings }, ...values.map(markupOf)));
}

function markupOf(value: Value): string {
  if (value instanceof Html) return value.text;
  return typeof value === "object" ? value.map(({ text }) => text).join("") : escaped(String(value));
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** Without what cannot be seen either: a name must not turn the direction of the text around it. */
function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? "").replace(/[\p{Cc}\p{Cf}\p{Cs}]/gu, "\u{fffd}");
}
