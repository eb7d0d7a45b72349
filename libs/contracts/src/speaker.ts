/** Who a memory speaks as, to models and in its heading: the role, or where there is none the source. */
export function speakerOf({ role, source }: { role?: string | undefined; source?: string | undefined }): string | undefined {
  return role ?? source;
}
