/** The runtime as a plain process, for the launcher that forks nothing: the wire is descriptor 3. */
import { startRuntime } from "./main.ts";

startRuntime(3);
