/** The runtime as a plain process, for the launcher that forks nothing: the wire is descriptor 3. */
import { prepareRuntime } from "./main.ts";

prepareRuntime(null)(3);
