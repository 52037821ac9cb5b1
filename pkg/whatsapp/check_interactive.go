package whatsapp

import "strings"

// Limits of interactive messages, in characters.
const (
	bodyMost   = 1024 // but that of a list
	headerMost = 60
	footerMost = 60
)

// interactive checks the documented types. Others pass.
func (c *check) interactive(n checkNode) {
	body, action := n.child("body"), n.child("action")
	c.show(body.text("text"))
	switch n.text("type") {
	case "button": // Interactive reply buttons messages
		c.body(body, bodyMost)
		c.edges(n)
		c.buttons(action)
	case "list": // Interactive list messages
		c.body(body, 4096)
		c.edges(n)
		if kind := n.child("header").text("type"); kind != "" && kind != "text" {
			c.fault(n.child("header").at("type"), "text: a list allows no other header")
		}
		c.filled(action, "button")
		c.most(action, "button", 20)
		c.list(action)
	case "cta_url": // Interactive call-to-action URL button messages
		c.body(body, bodyMost)
		c.edges(n)
		c.linkButton(action)
	case "flow": // Sending a Flow; Flow messages
		c.body(body, bodyMost)
		c.edges(n)
		parameters := action.child("parameters")
		if parameters.text("flow_id") != "" && parameters.text("flow_name") != "" {
			c.fault(parameters.path, "one of flow_id and flow_name, not both")
		}
	case "product_list": // Multi-product messages
		c.body(body, bodyMost)
		c.edges(n)
		c.products(action)
	case "carousel": // Interactive media carousel messages; Interactive product carousel messages
		c.body(body, bodyMost)
		c.cards(action)
	case "catalog_message": // Catalog messages
		c.body(body, bodyMost)
		c.edges(n)
	case "product": // Single-product messages: the body may be absent
		c.most(body, "text", bodyMost)
		c.edges(n)
	}
}

func (c *check) body(body checkNode, limit int) {
	c.filled(body, "text")
	c.most(body, "text", limit)
}

// edges checks header and footer.
func (c *check) edges(n checkNode) {
	c.most(n.child("footer"), "text", footerMost)
	c.header(n.child("header"))
}

func (c *check) header(header checkNode) {
	switch kind := header.text("type"); kind {
	case "text":
		c.most(header, "text", headerMost)
	case "image", "video", "document":
		c.media(header.child(kind))
	}
}

func (c *check) buttons(action checkNode) {
	buttons := action.get("buttons").Elements()
	if n := len(buttons); n < 1 || n > 3 {
		c.fault(action.at("buttons"), "1 to 3 buttons, has "+checkNumber(n))
	}
	ids, titles := map[string]bool{}, map[string]bool{}
	for i := range buttons {
		button := action.element("buttons", i)
		if kind := button.text("type"); kind != "" && kind != "reply" {
			continue
		}
		reply := button.child("reply")
		c.unique(reply, "id", ids)
		c.most(reply, "id", 256)
		if id := reply.text("id"); strings.Trim(id, " ") != id {
			c.fault(reply.at("id"), "without blanks at its ends")
		}
		c.unique(reply, "title", titles)
		c.most(reply, "title", 20)
		c.show(reply.text("title"))
	}
}

// unique refuses a text that is empty or repeats an earlier one.
func (c *check) unique(n checkNode, name string, before map[string]bool) {
	c.filled(n, name)
	text := n.text(name)
	if text != "" && before[text] {
		c.fault(n.at(name), "unique among the buttons")
	}
	before[text] = true
}

func (c *check) list(action checkNode) {
	sections := action.get("sections").Elements()
	all := 0
	for i := range sections {
		all += len(action.element("sections", i).get("rows").Elements())
	}
	if all == 0 {
		c.fault(action.at("sections"), "1 to 10 rows in total, has 0")
	}
	c.count(action.at("sections"), len(sections), 10, "sections")
	c.count(action.at("sections"), all, 10, "rows in total")
	for i := range sections {
		section := action.element("sections", i)
		c.sectionTitle(section, len(sections))
		for j := range section.get("rows").Elements() {
			row := section.element("rows", j)
			c.filled(row, "id")
			c.most(row, "id", 200)
			c.filled(row, "title")
			c.most(row, "title", 24)
			c.most(row, "description", 72)
		}
	}
	c.show(action.text("button"))
}

func (c *check) sectionTitle(section checkNode, sections int) {
	if sections > 1 && section.text("title") == "" {
		c.fault(section.at("title"), "a string that is not empty, because there are several sections")
	}
	c.most(section, "title", 24)
}

func (c *check) products(action checkNode) {
	sections := action.get("sections").Elements()
	all := 0
	for i := range sections {
		section := action.element("sections", i)
		c.sectionTitle(section, len(sections))
		all += len(section.get("product_items").Elements())
	}
	c.count(action.at("sections"), len(sections), 10, "sections")
	if all < 1 || all > 30 {
		c.fault(action.at("sections"), "1 to 30 products in total, has "+checkNumber(all))
	}
}

func (c *check) cards(action checkNode) {
	cards := action.get("cards").Elements()
	if n := len(cards); n < 2 || n > 10 {
		c.fault(action.at("cards"), "2 to 10 cards, has "+checkNumber(n))
	}
	for i := range cards {
		card := action.element("cards", i)
		c.header(card.child("header"))
		c.most(card.child("body"), "text", 160)
		if inner := card.child("action"); inner.text("name") == "cta_url" {
			c.linkButton(inner)
		}
	}
}

func (c *check) linkButton(action checkNode) {
	parameters := action.child("parameters")
	c.filled(parameters, "display_text")
	c.most(parameters, "display_text", 20)
	c.webURL(parameters, "url")
	c.show(parameters.text("display_text"))
}
