import js from "@eslint/js";
import nx from "@nx/eslint-plugin";
import tseslint from "typescript-eslint";

const PURE_BANS = ["@nestjs/*", "@grpc/*", "pg", "typeorm", "onnxruntime-node"];

export default tseslint.config(
  { ignores: ["**/dist/**", "**/generated/**", "**/kernel/**", "**/*.mjs"] },
  js.configs.recommended,
  tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { project: "./tsconfig.json", tsconfigRootDir: import.meta.dirname } },
    plugins: { "@nx": nx },
    rules: {
      eqeqeq: "error",
      "@nx/enforce-module-boundaries": [
        "error",
        {
          enforceBuildableLibDependency: true,
          allow: [],
          depConstraints: [
            { sourceTag: "type:pure", onlyDependOnLibsWithTags: ["type:pure"], bannedExternalImports: PURE_BANS },
            { sourceTag: "type:contract", onlyDependOnLibsWithTags: ["type:pure", "type:contract"], bannedExternalImports: ["pg", "typeorm", "onnxruntime-node"] },
            { sourceTag: "type:shell", onlyDependOnLibsWithTags: ["type:pure", "type:contract", "type:shell"] },
            { sourceTag: "type:app", onlyDependOnLibsWithTags: ["type:pure", "type:contract", "type:shell"] },
            { sourceTag: "type:tool", onlyDependOnLibsWithTags: ["type:pure", "type:contract", "type:shell"] },
          ],
        },
      ],
      // Numbers and booleans in templates are readable; objects are not.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true, allowNullish: true }],
      // Nest modules are classes that only carry a decorator.
      "@typescript-eslint/no-extraneous-class": ["error", { allowWithDecorator: true }],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      // Index access has the element's type here (typed-array loops), so this rule would call real checks needless.
      "@typescript-eslint/no-unnecessary-condition": "off",
      "@typescript-eslint/no-non-null-assertion": "error",
    },
  },
  {
    // Inside a tenant's transaction these would open and commit one of their own, and the tenant setting would be gone.
    files: ["libs/storage/src/memory-store.ts", "libs/storage/src/tenant-transaction.ts", "apps/indexer/src/**"],
    rules: {
      "no-restricted-imports": ["error", { name: "typeorm", message: "inside withTenant only MemoryStore methods run (docs/adr/0003)" }],
      "no-restricted-properties": [
        "error",
        ...["save", "startTransaction", "manager"].map((property) => ({
          property,
          message: "inside withTenant only MemoryStore methods run (docs/adr/0003)",
        })),
      ],
    },
  },
  {
    files: ["apps/*/e2e/**"],
    // A bench may make its load as an app's own approval does.
    ignores: ["**/*.bench.ts"],
    rules: {
      "no-restricted-imports": [
        "error",
        { patterns: [{ regex: "^\\.{1,2}/(.*/)?src(/|$)", message: "e2e tests speak to a running process; they import no app code" }] },
      ],
    },
  },
  {
    files: ["**/*.spec.ts", "**/*.integration-spec.ts", "**/*.e2e-spec.ts", "**/e2e/**"],
    rules: {
      "@typescript-eslint/no-non-null-assertion": "off",
      "@typescript-eslint/unbound-method": "off",
    },
  },
);
