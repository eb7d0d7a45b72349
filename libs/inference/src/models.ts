export { pullModel, type PullOptions } from "./pull-model.js";
export { isInstalled, knownModel, readRegistry, type KnownModel } from "./registry.js";
export { verifyModels, type VerifiedFile } from "./verify-models.js";
