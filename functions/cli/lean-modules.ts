/**
 * Spares commands what takes a third of their time and helps none: zod loads its messages in all
 * languages, although it speaks English, and compiles each shape before the first value, which pays
 * after hundreds of values.
 */
import { registerHooks } from "node:module";

const LANGUAGES = "../locales/index.js";
const ZOD = /\/node_modules\/zod\//;
const NOTHING = "data:text/javascript,";

registerHooks({
  resolve(specifier, context, next) {
    const isLanguages = specifier === LANGUAGES && ZOD.test(context.parentURL ?? "");
    return isLanguages ? { url: NOTHING, format: "module", shortCircuit: true } : next(specifier, context);
  },
});

Object.assign(globalThis, { __zod_globalConfig: { jitless: true } });
