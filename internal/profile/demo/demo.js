// Streams the answer to a question into the page. Without this script the form posts and shows the answer on a page of its own.
for (const form of document.querySelectorAll("form[data-stream]")) {
	form.addEventListener("submit", async (event) => {
		event.preventDefault();
		const button = form.querySelector("button");
		const output = form.parentElement.querySelector("output");
		button.disabled = true;
		output.textContent = "";
		try {
			await ask(form.action, form.elements.question.value, (word) => { output.textContent += word; });
		} catch (error) {
			output.textContent += (output.textContent ? "\n" : "") + error.message;
		} finally {
			button.disabled = false;
		}
	});
}

async function ask(url, question, onWord) {
	const response = await fetch(url, {
		method: "POST", headers: { "Content-Type": "application/json", "Accept": "text/event-stream" }, body: JSON.stringify({ question }),
	});
	if (!response.ok) {
		const body = await response.json().catch(() => ({}));
		throw new Error(body.detail || "The flow did not answer (status " + response.status + ").");
	}
	const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
	let text = "", ended = false;
	for (;;) {
		const { value, done } = await reader.read();
		if (done) break;
		const events = (text + value).split("\n\n");
		text = events.pop();
		for (const one of events) {
			const [kind, data] = one.split("\n").map((line) => line.slice(line.indexOf(": ") + 2));
			if (kind === "token") onWord(JSON.parse(data));
			if (kind === "end") ended = true;
		}
	}
	if (!ended) throw new Error("The answer was cut off.");
}
