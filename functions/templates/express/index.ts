import express from "express";

const app = express();
app.use(express.json());

// The variables of "env" in sandpiper.jsonc are in process.env; `sandpiper types` writes their types.
app.get("/", (request, response) => {
  response.json({ message: `${process.env.GREETING}, ${request.query.name ?? "world"}!` });
});

app.post("/echo", (request, response) => {
  console.log("echo", request.body);
  response.status(201).json(request.body);
});

export default app;
