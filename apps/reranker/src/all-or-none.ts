interface Stoppable {
  close(): Promise<void>;
}

/** What starts at the same time, in its order, when all of it has started; undefined stays. Where one fails, the others are stopped and its error is thrown. */
export async function allOrNone<T extends readonly (Stoppable | undefined)[]>(starting: { readonly [Index in keyof T]: Promise<T[Index]> }): Promise<T> {
  const settled = await Promise.allSettled(starting as readonly Promise<Stoppable | undefined>[]);
  const started = settled.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const failed = settled.find((one) => one.status === "rejected");
  if (failed !== undefined) {
    await Promise.all(started.map(async (one) => one?.close()));
    throw failed.reason;
  }
  return started as readonly (Stoppable | undefined)[] as T;
}
