// Rotates a configuration's secret, with retries.

export async function rotate(id, secret, { retries = 2, wait = 50 } = {}) {
  const url = `${process.env.FLASHBACK_BASE_URL}/ai/llm/${encodeURIComponent(id)}`;
  for (let attempt = 0; ; attempt += 1) {
    try {
      const response = await fetch(url, {
        method: "PUT",
        redirect: "manual", // otherwise, fetch would send the secret to the redirect's target
        headers: {
          "Authorization": `Bearer ${process.env.FLASHBACK_TOKEN}`,
          "Content-Type": "application/json",
        },
        body: JSON.stringify({ secret }),
      });
      if (response.ok) return;
      const isTemporary = response.status === 429 || response.status >= 500;
      if (!isTemporary || attempt === retries) throw new RotationError(response.status);
      const seconds = Number(response.headers.get("Retry-After")); // NaN if the header is a date
      await sleep(1000 * seconds || wait);
    } catch (error) {
      if (error instanceof RotationError || attempt === retries) throw error;
      await sleep(wait); // the connection failed
    }
  }
}

export class RotationError extends Error {
  constructor(status) {
    super(`the secret was not rotated: the service returned status ${status}`);
    this.status = status;
  }
}

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
