export { CrossEncoder } from "./cross-encoder.js";
export { Embedder } from "./embedder.js";
export { loadModel, SHIPPED_MODELS_DIR, type ModelSpec, type Provider } from "./model-store.js";
export { type Device, type LoadOptions } from "./session.js";
export { type TokenSequence, type TokenWindow } from "./tokenizer.js";
