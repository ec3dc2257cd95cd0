/** @jsxRuntime classic */
/** @jsx element */
const element = (tag: string, _props: object | null, ...children: string[]) => `<${tag}>${children.join("")}</${tag}>`;
export default () => new Response(<main><b>bold</b></main>, { headers: { "content-type": "text/html" } });
