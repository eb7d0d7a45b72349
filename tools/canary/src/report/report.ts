import type { BundleHeader } from "../bundle/manifest.js";
import { headerText } from "../bundle/recorder.js";
import { decisionText, type Decision } from "../runner/decision.js";

/** A release for people, as one HTML file. */
export function reportHtml({ header, decision }: { header: BundleHeader; decision: Decision }): string {
  const text = decisionText(headerText(header), decision).replaceAll(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
  return `<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>${headerText(header)}</title><pre>${text}</pre></html>\n`;
}
