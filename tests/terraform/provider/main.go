// A provider that knows what resources take, by schema.json beside its sources, and makes nothing.
// With it `terraform validate` and `plan` see what they would with Google's, but for what that one
// checks in code: values, and what contradicts what.
package main

import (
	"context"
	_ "embed"
	"encoding/json"

	"github.com/hashicorp/terraform-plugin-sdk/v2/diag"
	"github.com/hashicorp/terraform-plugin-sdk/v2/helper/schema"
	"github.com/hashicorp/terraform-plugin-sdk/v2/plugin"
)

//go:embed schema.json
var text []byte

// What a resource or a block takes: a primitive, a list or map of them, or a block.
type argument struct {
	Type     string              `json:"type"`
	Required bool                `json:"required"`
	Most     int                 `json:"most"`
	Block    map[string]argument `json:"block"`
	// Computed is what the provider says where the configuration does not, ReadOnly what only it says.
	Computed bool `json:"computed"`
	ReadOnly bool `json:"read_only"`
}

var types = map[string]schema.ValueType{
	"string":  schema.TypeString,
	"number":  schema.TypeFloat,
	"boolean": schema.TypeBool,
}

func (a argument) schema() *schema.Schema {
	found := &schema.Schema{
		Required: a.Required,
		Optional: !a.Required && !a.ReadOnly,
		Computed: a.Computed || a.ReadOnly,
	}
	switch {
	case a.Block != nil:
		found.Type, found.MaxItems = schema.TypeList, a.Most
		found.Elem = &schema.Resource{Schema: schemas(a.Block)}
	case a.Type == "list":
		found.Type, found.Elem = schema.TypeList, &schema.Schema{Type: schema.TypeString}
	case a.Type == "map":
		found.Type, found.Elem = schema.TypeMap, &schema.Schema{Type: schema.TypeString}
	default:
		found.Type = types[a.Type]
	}
	return found
}

func schemas(arguments map[string]argument) map[string]*schema.Schema {
	found := map[string]*schema.Schema{}
	for name, each := range arguments {
		found[name] = each.schema()
	}
	return found
}

func nothing(context.Context, *schema.ResourceData, any) diag.Diagnostics { return nil }

func provider() *schema.Provider {
	var resources map[string]map[string]argument
	if err := json.Unmarshal(text, &resources); err != nil {
		panic(err)
	}
	word := schema.Schema{Type: schema.TypeString, Optional: true}
	found := &schema.Provider{
		Schema:       map[string]*schema.Schema{"project": &word, "region": &word},
		ResourcesMap: map[string]*schema.Resource{},
	}
	for name, arguments := range resources {
		found.ResourcesMap[name] = &schema.Resource{
			CreateContext: nothing,
			ReadContext:   nothing,
			UpdateContext: nothing,
			DeleteContext: nothing,
			Schema:        schemas(arguments),
		}
	}
	return found
}

func main() {
	plugin.Serve(&plugin.ServeOpts{ProviderFunc: provider})
}
