import { convertIndexedToRgb, type DecodedPng, type ImageData } from "fast-png";

/** The image in shades of grey by Rec. 601's weights, with its transparency. */
export function toGrey(image: DecodedPng): ImageData {
  const { width, height } = image;
  const data = image.palette ? convertIndexedToRgb(image) : image.data;
  const channels = image.palette ? data.length / (width * height) : image.channels;
  if (channels < 3) return image;
  const depth = image.depth === 16 ? 16 : 8;
  const outChannels = channels - 2;
  const grey =
    depth === 16 ? new Uint16Array(width * height * outChannels) : new Uint8Array(width * height * outChannels);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const at = pixel * channels;
    const luma = 0.299 * (data[at] ?? 0) + 0.587 * (data[at + 1] ?? 0) + 0.114 * (data[at + 2] ?? 0);
    grey[pixel * outChannels] = Math.round(luma);
    if (channels === 4) grey[pixel * outChannels + 1] = data[at + 3] ?? 0;
  }
  return { width, height, data: grey, depth, channels: outChannels };
}
