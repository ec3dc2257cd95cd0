import * as functions from "@google-cloud/functions-framework";
functions.http("first-one", (req, res) => res.send("first"));
functions.http("second-one", (req, res) => res.send("second"));
