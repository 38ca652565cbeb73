// Improvements only: every page works without this file.
(() => {
	'use strict'
	const root = document.documentElement

	// The look changes at once; the server learns it from the cookie.
	const choose = (form, theme) => {
		const secure = location.protocol === 'https:' ? '; Secure' : ''
		document.cookie = `sluice_theme=${theme}; Path=/; SameSite=Lax; Max-Age=${theme ? 31536000 : 0}${secure}`
		root.className = theme
		const scheme = document.querySelector('meta[name="color-scheme"]')
		if (scheme) scheme.content = theme || 'light dark'
		for (const b of form.querySelectorAll('button[name="theme"]')) b.setAttribute('aria-pressed', String(b.value === theme))
	}
	document.addEventListener('submit', (event) => {
		const form = event.target
		if (form.matches('[data-theme-form]') && event.submitter) {
			event.preventDefault()
			choose(form, event.submitter.value)
		}
	})

	const reveal = (button) => {
		const input = document.getElementById(button.dataset.reveal)
		const shown = input.type === 'text'
		input.type = shown ? 'password' : 'text'
		button.setAttribute('aria-pressed', String(!shown))
		input.focus()
	}

	const copy = async (button) => {
		const input = document.getElementById(button.dataset.copy)
		const label = button.querySelector('[data-copy-label]')
		try {
			await navigator.clipboard.writeText(input.value)
			label.textContent = 'Copied'
		} catch {
			input.select()
			label.textContent = 'Press Ctrl+C'
		}
		setTimeout(() => { label.textContent = 'Copy' }, 2000)
	}

	document.addEventListener('click', (event) => {
		const button = event.target.closest('[data-reveal], [data-copy]')
		if (!button) return
		if (button.dataset.reveal) reveal(button)
		else copy(button)
	})
	document.addEventListener('focusin', (event) => {
		if (event.target.matches('[data-select]')) event.target.select()
	})
	for (const button of document.querySelectorAll('[data-print]')) button.addEventListener('click', () => print())
	for (const button of document.querySelectorAll('[data-reveal], [data-copy], [data-print]')) button.hidden = false

	// A menu closes when one goes elsewhere; Escape leads back to its button.
	const menus = () => document.querySelectorAll('details[data-menu][open]')
	document.addEventListener('click', (event) => {
		for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false
	})
	document.addEventListener('focusin', (event) => {
		for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false
	})
	document.addEventListener('keydown', (event) => {
		if (event.key !== 'Escape') return
		for (const menu of menus()) {
			menu.open = false
			if (menu.contains(document.activeElement)) menu.querySelector('summary').focus()
		}
	})

	// On narrow screens the navigation is a row; the present page's entry is brought into it.
	const here = document.querySelector('.nav [aria-current]')
	if (here) here.parentElement.scrollLeft = here.offsetLeft - (here.parentElement.clientWidth - here.offsetWidth) / 2

	// All permissions of a group at once.
	for (const button of document.querySelectorAll('[data-all]')) {
		const boxes = [...button.closest('fieldset').querySelectorAll('input[type="checkbox"]')]
		const name = () => { button.textContent = boxes.every(b => b.checked) ? 'None of these' : 'All of these' }
		button.hidden = false
		name()
		button.addEventListener('click', () => {
			const on = !boxes.every(b => b.checked)
			for (const b of boxes) b.checked = on
			name()
		})
		for (const b of boxes) b.addEventListener('change', name)
	}

	// A form is sent once, however often its button is pressed.
	document.addEventListener('submit', (event) => {
		if (event.defaultPrevented) return
		const form = event.target
		if (form.dataset.sent) { event.preventDefault(); return }
		form.dataset.sent = 'yes'
	})
	addEventListener('pageshow', () => { for (const form of document.forms) delete form.dataset.sent })
})()
