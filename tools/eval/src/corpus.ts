/** What is searched as one user, and what is asked of it. */
export interface Corpus {
  readonly name: string;
  readonly documents: readonly Document[];
  readonly questions: readonly Question[];
}

export interface Document {
  readonly id: string;
  readonly text: string;
  /** Of a turn of a conversation; the turns of a session follow one another. */
  readonly turn?: { readonly speaker: string; readonly session: string; readonly occurredAt: Date } | undefined;
}

export interface Question {
  readonly text: string;
  /** Ids of the documents that answer it, at least one. */
  readonly relevant: ReadonlySet<string>;
}
