import fc from "fast-check";

// Where a test is to turn red, nobody reads the smallest counterexample, and finding it can take minutes.
if (process.env.MEMSEAL_TEST_SHRINK === "off") fc.configureGlobal({ ...fc.readConfigureGlobal(), endOnFailure: true });
