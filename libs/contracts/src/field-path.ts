/** Names a caller may be shown; any other could be text that got into the wrong place. */
const NAME = /^[\w.-]{1,64}$/;

/** Path of a member, such as `memories[3].text`; `*` stands for a name that is not repeated back. */
export function memberPath(parent: string, name: string): string {
  const shown = NAME.test(name) ? name : "*";
  return parent === "" ? shown : `${parent}.${shown}`;
}

/** Path of an element, such as `memories[3]`. */
export function elementPath(parent: string, index: number): string {
  return `${parent}[${index}]`;
}
