export default { async scheduled() { console.log("never yet"); } };
