if(process.env.NODE_ENV==="test") import("not-installed");
export default () => "hi";
