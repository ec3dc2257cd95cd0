export default {
  async fetch() { return new Response("fetched"); },
  async scheduled(_controller: ScheduledController) { console.log("never yet"); },
  async queue(_batch: MessageBatch) { console.log("never yet"); },
};
