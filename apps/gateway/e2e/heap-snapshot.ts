/** The parts of V8's format that are read here. Nodes and edges are rows of numbers; a node's edges follow those of the node before. */
interface HeapSnapshot {
  readonly snapshot: { readonly meta: { readonly node_fields: readonly string[]; readonly node_types: readonly [readonly string[]]; readonly edge_fields: readonly string[] } };
  readonly nodes: readonly number[];
  readonly edges: readonly number[];
  readonly strings: readonly string[];
}

/** The halves of a concatenated string, by the places of their nodes. */
interface Halves {
  readonly first: number;
  readonly second: number;
}

/**
 * Every string in a heap snapshot: values, names, source code. What V8 keeps in halves, since it was concatenated and never read
 * as a whole, is put together. json: the snapshot's text.
 */
export function stringsOf(json: string): string[] {
  const snapshot = JSON.parse(json) as HeapSnapshot;
  const { snapshot: { meta: { node_fields: fields } }, nodes, strings } = snapshot;
  const name = fields.indexOf("name");
  const halves = halvesIn(snapshot);
  const inner = new Set([...halves.values()].flatMap(({ first, second }) => [first, second]));
  const textOf = (whole: number): string => {
    let text = "";
    for (const rest = [whole]; rest.length > 0; ) {
      const node = rest.pop() ?? whole;
      const parts = halves.get(node);
      if (parts === undefined) text += strings[nodes[node + name]];
      else rest.push(parts.second, parts.first);
    }
    return text;
  };
  return [...strings, ...[...halves.keys()].filter((node) => !inner.has(node)).map(textOf)];
}

function halvesIn({ snapshot: { meta }, nodes, edges, strings }: HeapSnapshot): Map<number, Halves> {
  const [type, edgeCount] = ["type", "edge_count"].map((field) => meta.node_fields.indexOf(field));
  const [edgeName, target] = ["name_or_index", "to_node"].map((field) => meta.edge_fields.indexOf(field));
  const concatenated = meta.node_types[0].indexOf("concatenated string");
  const found = new Map<number, Halves>();
  for (let node = 0, edge = 0; node < nodes.length; node += meta.node_fields.length) {
    const end = edge + nodes[node + edgeCount] * meta.edge_fields.length;
    if (nodes[node + type] === concatenated) {
      const byName = new Map<string, number>();
      for (let at = edge; at < end; at += meta.edge_fields.length) byName.set(strings[edges[at + edgeName]], edges[at + target]);
      const [first, second] = [byName.get("first"), byName.get("second")];
      if (first !== undefined && second !== undefined) found.set(node, { first, second });
    }
    edge = end;
  }
  return found;
}
