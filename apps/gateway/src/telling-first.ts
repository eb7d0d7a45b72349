/** The same events; onFirst is told once, before the first is handed on. */
export async function* tellingFirst<Event>(events: AsyncIterable<Event>, onFirst: () => void): AsyncGenerator<Event> {
  let isFirst = true;
  for await (const event of events) {
    if (isFirst) onFirst();
    isFirst = false;
    yield event;
  }
}
