/**
 * `node isolate-floor.ts DIRECTORY`: makes isolates with isolated-vm in this process, one after the
 * other, as it is told to.
 */
import { createRequire } from "node:module";
import { join } from "node:path";
import { serveBlocks } from "./child.ts";

interface IsolatedVm {
  Isolate: new (options: {
    memoryLimit: number;
  }) => {
    createContext(): Promise<{ eval(code: string): Promise<unknown> }>;
    dispose(): void;
  };
}

const [directory = ""] = process.argv.slice(2);
const { Isolate } = createRequire(join(directory, "package.json"))("isolated-vm") as IsolatedVm;

serveBlocks({
  call: async () => {
    const isolate = new Isolate({ memoryLimit: 128 });
    const context = await isolate.createContext();
    await context.eval("0");
    isolate.dispose();
  },
  close: async () => {},
});
