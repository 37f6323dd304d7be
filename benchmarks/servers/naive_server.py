"""The server that tutorials teach: FastAPI around a transformers `pipeline`, one request at a time, whole answers.

It is here to be measured. So that the load generator can ask it, it speaks the little of `/v1/completions` that is
needed; to a request that wants a stream it sends the whole answer as one event, since that is when it has one.
Usage: python naive_server.py MODEL_FOLDER PORT
"""

import json
import sys
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from transformers import pipeline

app = FastAPI()
generator: Any = pipeline("text-generation", model=sys.argv[1], dtype=torch.bfloat16)


class Body(BaseModel):
    """What is read of a request."""

    prompt: str
    max_tokens: int
    stream: bool = False


@app.post("/v1/completions")
async def complete(body: Body) -> Response:
    answer = generator(
        body.prompt,
        max_new_tokens=body.max_tokens,
        min_new_tokens=body.max_tokens,
        do_sample=False,
        return_full_text=False,
    )
    text = answer[0]["generated_text"]
    prompt_tokens = len(generator.tokenizer(body.prompt)["input_ids"])
    completion = {
        "id": "naive",
        "object": "text_completion",
        "model": "model",
        "choices": [{"index": 0, "text": text, "finish_reason": "length"}],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": body.max_tokens,
            "total_tokens": prompt_tokens + body.max_tokens,
        },
    }
    if body.stream:
        return Response(f"data: {json.dumps(completion)}\n\ndata: [DONE]\n\n", media_type="text/event-stream")
    return JSONResponse(completion)


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
