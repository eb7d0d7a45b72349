export { approve, type ApprovalOptions, type Measured } from "./approve.js";
export { envelopeText, keyIdOf, openEnvelope, openSignedText, signEnvelope, type Envelope } from "./dsse.js";
export { EvidenceError } from "./evidence-error.js";
export { atLeast, atMost, below, keepsLimit, passes, type Figure } from "./figure.js";
export { TIME, type Findings } from "./findings.js";
export { jsonOf } from "./json-of.js";
export { openReport, writeReport, type Report } from "./report.js";
export { sha256 } from "./sha256.js";
