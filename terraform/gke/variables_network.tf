variable "create_network" {
  description = "Whether to make the network; otherwise `network` and `subnetwork` name those that are there, with the secondary ranges `pods` and `services`."
  type        = bool
  default     = true
}

variable "network" {
  description = "Name of the network."
  type        = string
  default     = "sie-network"
}

variable "subnetwork" {
  description = "Name of the subnetwork."
  type        = string
  default     = "sie-subnet"
}

variable "subnet_cidr" {
  description = "Addresses of nodes."
  type        = string
  default     = "10.0.0.0/20"
}

variable "pods_cidr" {
  description = "Addresses of pods."
  type        = string
  default     = "10.1.0.0/16"
}

variable "services_cidr" {
  description = "Addresses of services."
  type        = string
  default     = "10.2.0.0/20"
}

variable "enable_private_nodes" {
  description = "Whether nodes have no addresses of their own outside; they reach out by NAT."
  type        = bool
  default     = true
}

variable "enable_private_endpoint" {
  description = "Whether the control plane is reached from inside the network only."
  type        = bool
  default     = false
}

variable "master_ipv4_cidr_block" {
  description = "Addresses of the control plane, a /28."
  type        = string
  default     = "172.16.0.0/28"
}

variable "authorized_networks" {
  description = "Networks that may reach the control plane from outside."
  type = list(object({
    cidr_block   = string
    display_name = string
  }))
  default = []

  validation {
    condition     = length(var.authorized_networks) <= 100
    error_message = "At most 100 networks."
  }

  validation {
    condition     = alltrue([for each in var.authorized_networks : can(cidrhost(each.cidr_block, 0)) && !strcontains(each.cidr_block, ":")])
    error_message = "Each cidr_block must be an IPv4 range, such as 203.0.113.0/24."
  }
}

variable "allow_public_api_server" {
  description = "Whether the control plane may be reached from everywhere. Needed when neither authorized_networks nor enable_private_endpoint restricts it."
  type        = bool
  default     = false
}
