#!/usr/bin/env node
import { runMemseal } from "./memseal.js";

await runMemseal(process.argv.slice(2));
