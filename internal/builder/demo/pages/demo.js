// Streams the answer to a question into the page. Without this script, the form posts and a separate
// page shows the answer.
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

// Shows the flows that the person may see. The page requests them separately, so that a proxy in front
// of this builder can filter other people's flows out of the answer.
for (const list of document.querySelectorAll("[data-flows]")) showFlows(list);

async function showFlows(list) {
	const empty = document.querySelector("[data-empty]");
	try {
		const response = await fetch("/api/flows", { headers: { Accept: "application/json" } });
		if (!response.ok) throw new Error("The flows could not be read (status " + response.status + ").");
		for (const flow of await response.json()) list.append(card(flow));
	} catch (error) {
		empty.textContent = error.message;
	}
	empty.hidden = list.children.length > 0;
	list.removeAttribute("aria-busy");
}

function card(flow) {
	const item = document.createElement("li"), link = document.createElement("a"), meta = document.createElement("span"), time = document.createElement("time");
	item.className = "card";
	link.href = "/flows/" + encodeURIComponent(flow.id);
	link.textContent = flow.name;
	meta.className = "meta";
	time.dateTime = flow.updated;
	time.textContent = new Date(flow.updated).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
	meta.append("Changed ", time, flow.by ? " by " + flow.by : "");
	item.append(link, meta);
	return item;
}
