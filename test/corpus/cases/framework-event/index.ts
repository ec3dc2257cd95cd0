import { type CloudEvent, cloudEvent } from "@google-cloud/functions-framework";

cloudEvent("birdSeen", (event: CloudEvent<{ name: string }>) => {
  console.log(event.id);
  return { type: event.type, subject: event.subject, name: event.data?.name };
});
