class Application {
  #isInitialised = false;
  async init(): Promise<this> { this.#isInitialised = true; return this; }
  getHttpAdapter() {
    return { getInstance: () => (req, res) => res.end("nest " + this.#isInitialised + " " + req.url) };
  }
  async listen(): Promise<void> { throw new Error("not asked for"); }
}
const app = new Application();
export default app;
