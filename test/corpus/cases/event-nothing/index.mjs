export async function handler(event) {
  console.log(event["detail-type"]);
}
