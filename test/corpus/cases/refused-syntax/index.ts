export default () => {
  return "open;
};
