/** What `stat` says of a file. */
export interface FileOwnership {
  mode: number;
  uid: number;
}

/**
 * Whether a file holds a secret as it must: for its owner alone; or root's, with one group that may read it, where the process is another
 * user's. The second is how Kubernetes mounts a Secret for a pod that does not run as root, and PostgreSQL's rule for its key files (libpq-ssl).
 */
export function isKeptSecret({ mode, uid }: FileOwnership, processUid: number | undefined): boolean {
  if (uid === 0 && processUid !== 0) return (mode & 0o037) === 0;
  return (mode & 0o077) === 0;
}
