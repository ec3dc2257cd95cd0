/** The bundler turns an import of a text file into a string. */
declare module "*.txt" {
  const text: string;
  export default text;
}
