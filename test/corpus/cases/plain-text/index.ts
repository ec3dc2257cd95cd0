export default () => "just text";
